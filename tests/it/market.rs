//! Books and models against recorded data and golden vectors.
