//! Runs wasi:http components.
