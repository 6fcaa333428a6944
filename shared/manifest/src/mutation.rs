//! Deliberate mistakes of the protocol, to show that the simulations catch them.
//!
//! They are made only under the feature `mutations`, which is off by default and which nothing that is shipped enables; without
//! it a manifest cannot be told to make one, and [`Manifest::makes`] is a constant.

use crate::Manifest;

/// A mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(not(feature = "mutations"), allow(dead_code))]
pub enum Mutation {
    /// A snapshot reads heads before items.
    HighFirst,
    /// A snapshot lists what is replaced.
    IgnoreReplaced,
    /// A publication keeps nothing of the head it found.
    OverwriteHead,
    /// Replaced ids are forgotten as soon as they are gone.
    TrimEarly,
    /// Burning voids no plans.
    BurnWithoutRaising,
    /// Burning does not look again whether the object is named.
    BurnWithoutRecheck,
    /// A commit overwrites what stands under its id.
    OverwriteOnRetry,
    /// The catalog is told of an hour after its first item.
    CatalogAfterItem,
    /// Hours are cleared whatever was stamped, and whatever changed since.
    ClearUnderWriters,
    /// A month takes parts over as soon as its days are marked as packed.
    PackWithoutRest,
    /// A month takes parts over that somebody may be replacing.
    PackWithoutSeal,
    /// The record of a deletion goes as soon as it is finished.
    ForgetDeletionEarly,
    /// Pages go as soon as HEAD has dropped them, and readers do not read HEAD again.
    DropPagesEarly,
}

impl Manifest {
    /// Returns the manifest with a mistake.
    #[cfg(feature = "mutations")]
    pub fn with_mutation(mut self, mutation: Mutation) -> Manifest {
        self.mutation = Some(mutation);
        self
    }

    /// Reports whether it makes the mistake.
    #[cfg(feature = "mutations")]
    pub(crate) fn makes(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// It makes none.
    #[cfg(not(feature = "mutations"))]
    #[allow(clippy::unused_self)]
    pub(crate) const fn makes(&self, _: Mutation) -> bool {
        false
    }
}
