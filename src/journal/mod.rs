//! What happened? The record of what was learnt, decided and sent.
