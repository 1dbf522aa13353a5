//! What guests have declared as properties.

use crate::abi::Status;
use crate::ids::ContextId;

/// Most declarations in one VM.
const MAX_DECLARED: usize = 1024;

/// Longest name of a declared property, in bytes.
const MAX_NAME: usize = 1024;

/// What `declare_property` has declared in a VM, per root context.
#[derive(Clone, Default)]
pub(crate) struct Declared(Vec<Declaration>);

#[derive(Clone)]
struct Declaration {
    root: ContextId,
    name: Vec<u8>,
    readonly: bool,
}

impl Declared {
    /// Is it read-only? `None` when it was not declared.
    pub fn get(&self, root: ContextId, name: &[u8]) -> Option<bool> {
        let found = self.0.iter().find(|d| d.root == root && d.name == name);
        found.map(|declaration| declaration.readonly)
    }

    /// `BadArgument`: a name that is too long, or declared already; `InternalFailure`: there are too many.
    pub fn declare(
        &mut self,
        root: ContextId,
        name: Vec<u8>,
        readonly: bool,
    ) -> Result<(), Status> {
        if name.len() > MAX_NAME || self.get(root, &name).is_some() {
            return Err(Status::BadArgument);
        }
        if self.0.len() >= MAX_DECLARED {
            return Err(Status::InternalFailure);
        }
        self.0.push(Declaration {
            root,
            name,
            readonly,
        });
        Ok(())
    }

    /// A root context is gone, and with it what it has declared.
    pub fn forget(&mut self, root: ContextId) {
        self.0.retain(|declaration| declaration.root != root);
    }
}
