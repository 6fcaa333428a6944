//! Checks that the house still has the shape the map in `ARCHITECTURE.md` draws.
//!
//! Owns: the arrows between crates, the one home of each foreign dependency, and what every source file must have.
//! Does not own: anything clippy or rustfmt can say.

pub mod arrows;
pub mod files;
pub mod homes;
pub mod workspace;
