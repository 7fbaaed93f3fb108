//! What is actually working? The order store and its state machine.
