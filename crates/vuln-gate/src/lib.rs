//! Do the scanners' reports allow this release?
