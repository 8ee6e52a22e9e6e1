//! muster-wire.
