//! The notifier against a real hub.
