//! A compiled component: loads its code into this process, and links it.

use std::os::fd::OwnedFd;

use tollgate_ipc::{is_sealed, while_pages_are_held};
use tollgate_system::os_error;
use wasmtime::component::types::ComponentItem;

use crate::artifact::Artifact;
use crate::engine::Engine;
use crate::error::LoadError;
use crate::executor::LinkerOf;
use crate::instance::bindings::ToolProviderPre;
use crate::instance::{CallState, mapped_code};
use crate::interfaces::{Import, unknown};

/// A compiled component, loaded into the process that runs it.
pub struct Component {
    inner: wasmtime::component::Component,
    pub(crate) imports: Vec<Import>,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("imports", &self.imports).finish_non_exhaustive()
    }
}

impl Component {
    /// Loads an artifact's code for `engine`. Only for a process that is sealed or trusts the component: a component that broke
    /// into its compiler chose the bytes that are parsed here.
    ///
    /// # Errors
    ///
    /// [`LoadError::Engine`].
    pub fn from_artifact(engine: &Engine, artifact: &Artifact) -> Result<Self, LoadError> {
        #[allow(unsafe_code, reason = "wasmtime's only way to load compiled code")]
        // SAFETY: the bytes must be what wasmtime made by `Engine::precompile_component`. An `Artifact` has private
        // fields and three constructors. `Artifact::compile_unsealed` calls that function itself. `Artifact::compiled` is
        // called in `Compiler::compile` alone, with what the compiler's process wrote, which does nothing but call that
        // function (`compiler/process.rs`); that the program started there is such a process is what `ProcessCommand` asks
        // for. `Artifact::open` returns only what has a valid HMAC under the local key, which `Artifact::seal` alone makes,
        // of another `Artifact`. The code is in this process's own memory, so nobody changes it in between. Engine and CPU
        // are compared by wasmtime.
        let loaded = unsafe { wasmtime::component::Component::deserialize(&engine.0, artifact.code()) };
        let inner = loaded.map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        Self::loaded(engine, inner)
    }

    /// Loads code that the supervisor has put into a file in memory. For workers, whose engine must be one that
    /// [`Engine::for_mapped_code`] made.
    ///
    /// # Errors
    ///
    /// [`LoadError::Engine`].
    pub fn from_memory_file(engine: &Engine, code: &OwnedFd) -> Result<Self, LoadError> {
        let failed = |reason: String| LoadError::Engine(reason);
        if !is_sealed(code) {
            return Err(failed("the code of the component can still be changed".to_owned()));
        }
        let mapped = mapped_code::map(code).map_err(|error| failed(format!("its code cannot be mapped: {error}")))?;
        #[allow(unsafe_code, reason = "wasmtime's only way to load compiled code")]
        // SAFETY: as for `from_artifact`: the supervisor puts nothing into such a file but the code of an `Artifact`
        // (`supervisor/member.rs`), and this process takes descriptors from its supervisor alone. The seals, checked above, keep
        // everybody from changing the file, the mapping is private and never written, and it stays until the process ends.
        let loaded = unsafe { wasmtime::component::Component::deserialize_raw(&engine.0, mapped) };
        let inner = loaded.map_err(|error| failed(format!("{error:#}")))?;
        Self::loaded(engine, inner)
    }

    fn loaded(engine: &Engine, inner: wasmtime::component::Component) -> Result<Self, LoadError> {
        make_images(&inner)?;
        let imports = imports(engine, &inner);
        Ok(Self { inner, imports })
    }

    /// Links it, once for all its calls.
    pub(crate) fn pre(&self, linker: &LinkerOf) -> Result<ToolProviderPre<CallState>, LoadError> {
        let imports = unknown(&self.imports);
        if !imports.is_empty() {
            return Err(LoadError::UnknownImports { imports });
        }
        let pre = linker
            .0
            .instantiate_pre(&self.inner)
            .map_err(|error| LoadError::UnknownImports { imports: vec![format!("{error:#}")] })?;
        ToolProviderPre::new(pre).map_err(|error| LoadError::NotATool { message: format!("{error:#}") })
    }
}

/// Makes the memory images that calls begin with. wasmtime would make them at the first call, which a sealed process cannot.
fn make_images(component: &wasmtime::component::Component) -> Result<(), LoadError> {
    let make = || component.initialize_copy_on_write_image();
    let made = while_pages_are_held(make, |error| os_error(error.as_ref()));
    made.map_err(|error| LoadError::Engine(format!("{error:#}")))
}

fn imports(engine: &Engine, component: &wasmtime::component::Component) -> Vec<Import> {
    let ty = component.component_type();
    let functions = |item: ComponentItem| {
        let ComponentItem::ComponentInstance(instance) = item else { return Vec::new() };
        let exports = instance.exports(&engine.0);
        let functions = exports.filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)));
        functions.map(|(name, _)| name.to_owned()).collect()
    };
    ty.imports(&engine.0)
        .map(|(name, item)| Import { interface: name.to_owned(), functions: functions(item.ty) })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_number_is_found_behind_what_wasmtime_says() {
        let error = wasmtime::Error::from(io::Error::from_raw_os_error(libc::EBUSY)).context("cannot add seals");
        assert_eq!(os_error(error.as_ref()), Some(libc::EBUSY));
    }
}
