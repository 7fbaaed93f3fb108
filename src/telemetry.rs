//! One table: note to log line and metric.
