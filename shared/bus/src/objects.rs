//! Bytes too large for a message, under a name: whole payloads and snapshots.

use crate::connect::Bus;
use crate::read::{ReadError, moment};
use async_nats::jetstream::object_store::{DeleteErrorKind, GetErrorKind, InfoErrorKind, ObjectMetadata, ObjectStore};
use bytes::Bytes;
use futures_util::TryStreamExt;
use muster_domain::time::Timestamp;
use muster_wire::topology::Store;
use std::io::Cursor;
use tokio::io::AsyncReadExt;

/// Why an object was not stored or read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The hub cannot do it now.
    #[error(transparent)]
    Unavailable(#[from] ReadError),
    /// What came back is not what was stored.
    #[error("object {name} is damaged: {source}")]
    Damaged {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: std::io::Error,
    },
}

/// What is known about an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: usize,
    /// When it was stored.
    pub at: Timestamp,
}

/// An object store.
#[derive(Debug, Clone)]
pub struct Objects {
    bus: Bus,
    name: &'static str,
}

impl Bus {
    /// The object store of this name.
    pub fn objects(&self, store: &Store) -> Objects {
        Objects {
            bus: self.clone(),
            name: store.name,
        }
    }
}

fn unavailable(error: impl std::fmt::Display) -> ObjectError {
    ReadError::Unavailable(error.to_string()).into()
}

impl Objects {
    async fn store(&self) -> Result<ObjectStore, ObjectError> {
        if !self.bus.is_connected() {
            return Err(unavailable(crate::ask::Away::Disconnected));
        }
        self.bus.context.get_object_store(self.name).await.map_err(unavailable)
    }

    /// Stores an object; one of the same name is replaced.
    ///
    /// # Errors
    /// [`ObjectError::Unavailable`].
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), ObjectError> {
        let metadata = ObjectMetadata {
            name: name.to_owned(),
            ..ObjectMetadata::default()
        };
        self.store()
            .await?
            .put(metadata, &mut Cursor::new(bytes))
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    /// Reads an object whole, and checks its digest; `None` when there is none.
    ///
    /// # Errors
    /// [`ObjectError`].
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, ObjectError> {
        let mut object = match self.store().await?.get(name).await {
            Ok(object) => object,
            Err(error) if error.kind() == GetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        let mut bytes = Vec::with_capacity(object.info.size);
        object
            .read_to_end(&mut bytes)
            .await
            .map_err(|source| ObjectError::Damaged {
                name: name.to_owned(),
                source,
            })?;
        Ok(Some(bytes.into()))
    }

    /// Whether there is an object of this name.
    ///
    /// # Errors
    /// [`ObjectError::Unavailable`].
    pub async fn contains(&self, name: &str) -> Result<bool, ObjectError> {
        match self.store().await?.info(name).await {
            Ok(info) => Ok(!info.deleted),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(false),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Every object, oldest first.
    ///
    /// # Errors
    /// [`ObjectError::Unavailable`].
    pub async fn list(&self) -> Result<Vec<Object>, ObjectError> {
        let listed = self.store().await?.list().await.map_err(unavailable)?;
        let mut objects: Vec<Object> = listed
            .map_ok(|info| Object {
                name: info.name,
                bytes: info.size,
                at: info.modified.map_or_else(Timestamp::default, moment),
            })
            .try_collect()
            .await
            .map_err(unavailable)?;
        objects.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
        Ok(objects)
    }

    /// Deletes an object; one that is not there is no error.
    ///
    /// # Errors
    /// [`ObjectError::Unavailable`].
    pub async fn delete(&self, name: &str) -> Result<(), ObjectError> {
        match self.store().await?.delete(name).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == DeleteErrorKind::NotFound => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }
}
