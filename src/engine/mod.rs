//! How do these meet? `step(now, events) -> actions`, and nothing else.
