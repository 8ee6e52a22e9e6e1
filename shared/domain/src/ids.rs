//! Identifiers that muster mints itself. All are UUIDs; the type says which.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID that was minted at the edge.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID itself.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// One event: the CloudEvents `id`, and its `Nats-Msg-Id`.
    EventId
}
id! {
    /// One spool of one host: what `seq` counts in.
    ProducerId
}
id! {
    /// One delegation: derived from the request that asked for it.
    DelegationId
}
id! {
    /// One experiment: derived from the request that planned it.
    ExperimentId
}
id! {
    /// One running orchestrator.
    InstanceId
}
id! {
    /// One effect: the event that asked for it.
    EffectId
}
id! {
    /// One message: the event that sent it.
    MessageId
}

impl EffectId {
    /// The effect that this event asked for.
    pub const fn of(event: EventId) -> Self {
        Self(event.0)
    }
}

impl MessageId {
    /// The message that this event sent.
    pub const fn of(event: EventId) -> Self {
        Self(event.0)
    }
}
