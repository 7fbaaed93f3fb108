//! Every file in `config/`, and files that must be refused.
