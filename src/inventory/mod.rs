//! What do we hold, what may it cost, how do we shed it?
