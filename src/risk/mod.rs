//! What are we allowed? The gate that every order passes on its way to the wire.
