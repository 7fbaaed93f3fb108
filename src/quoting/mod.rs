//! What would we like to show?
