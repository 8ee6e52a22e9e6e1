//! The pure core: facts in, decisions out.
//!
//! Everything muster concludes about a fleet is a function of facts and of the position they have in the log. This crate
//! holds that function and the words it is written in. It has no clock, no IO, no async and no randomness: time and ids
//! are arguments, so every replica that folds the same log arrives at the same state.
//!
//! - [`family`]: the closed vocabulary of event families and kinds, and who owns each.
//! - [`names`], [`ids`], [`time`]: parsed once at the edge, carried as types.
//! - [`fact`]: what one event says, as far as the fold cares.
//! - [`fleet`]: the state, and [`fleet::Fleet::apply`], which is total; its parts are [`session`], [`host`], [`producer`].
//! - [`circuit`]: agents that keep failing, and how they recover; [`work`] is what hooks tell of them.
//! - [`view`]: the state as people and programs read it.
//! - [`query`]: which sessions, in a line of text.
//! - [`react`], [`due`]: what the leader concludes from an event, and from the lack of one.
//! - [`effect`]: what hosts are told to do, and what they say became of it.
//! - [`context`], [`checkpoint`]: whether a session goes on as it is, and whether work can be left as it is; both of a [`matter`].
//! - [`message`]: what sessions and operators tell and ask one another.
//! - [`work_memory`]: what is known of the work on a workspace, beyond one session.
//! - [`memory`]: how full a context is, and from when on that matters.
//! - [`experiment`]: whether a change makes sessions cheaper, shorter or better.
//! - [`alert`]: what somebody should look at, and until when.
//! - [`review`]: what people and agents think of sessions, and what comes of it.
//! - [`audit`]: the same log counted a second way.
#![deny(missing_docs)]

mod about;
pub mod alert;
pub mod approval;
pub mod asker;
pub mod audit;
pub mod budget;
pub mod checkpoint;
pub mod circuit;
pub mod conclusion;
pub mod context;
pub mod delegation;
pub mod digest;
pub mod due;
pub mod effect;
pub mod experiment;
pub mod fact;
pub mod family;
pub mod fleet;
pub mod hold;
pub mod host;
pub mod ids;
pub mod lease;
pub mod matter;
pub mod memory;
pub mod message;
pub mod names;
pub mod overlay;
mod pairs;
pub mod policy;
pub mod producer;
pub mod query;
pub mod react;
pub mod review;
pub mod session;
mod sorted;
pub mod state;
pub mod time;
pub mod view;
pub mod work;
pub mod work_memory;
