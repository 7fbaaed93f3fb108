//! What the operator wrote, and what it means.
