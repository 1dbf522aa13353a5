//! Which host functions a guest may use.
//!
//! The functions form families ([`Capability`]). A function of a family that is denied does nothing
//! but answer with an error; the first time that an instance tries is logged.

mod allowed;
mod denial;
mod family;
mod syntax;

pub use allowed::Capabilities;
pub use denial::{Denial, Denials};
pub use family::Capability;
pub use syntax::CapabilityRules;
