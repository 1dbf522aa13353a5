//! Nothing: the manifest next to this file is all that counts.
