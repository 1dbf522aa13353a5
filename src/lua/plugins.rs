//! Plugins, and plugin contexts: root contexts with their configurations.

use std::cell::{OnceCell, RefCell};
use std::fmt::Display;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use proxy_wasm_host::{Callbacks, ContextId, PluginConfig};

use crate::conf::cache;
use crate::conf::chain::{Chain, FilterId, Link};
use crate::conf::main::ModuleConf;
use crate::filter::proxy_wasm::instance::{self, Instance};
use crate::lua::process::{Place, log};
use crate::nginx::log::{Level, Log};
use crate::worker::modules::Modules;
use crate::worker::process::{Main, sum_up};
use crate::worker::upstreams;

thread_local! {
    /// Those of this process.
    static ALL: RefCell<Vec<Weak<Plugin>>> = const { RefCell::new(Vec::new()) };
}

/// The place of a plugin in the configuration that it has to itself.
const INDEX: usize = 0;

/// No directive has a filter of this number.
const NO_FILTER: FilterId = FilterId::MAX;

/// A file that Lua's code has loaded, with its parameters.
pub struct Plugin {
    /// nginx's own, which goes behind Lua's machine.
    main: *const Main,
    conf: ModuleConf,
    callbacks: Callbacks,
    /// From its first use in a worker on.
    running: OnceCell<Running>,
}

/// What a worker has of a plugin.
struct Running {
    modules: Modules<Rc<Instance>>,
    /// Of the plugin alone. The instances point to it, so it goes behind them.
    main: Box<Main>,
}

/// A plugin with a configuration: what Lua's code makes callbacks in.
pub struct PluginContext {
    pub plugin: Rc<Plugin>,
    configuration: Arc<[u8]>,
    /// It alone. No other plugin context has this one.
    pub chain: Rc<Chain>,
    /// In the instance that it was made in.
    root: RefCell<Option<(Weak<Instance>, ContextId)>>,
}

impl Plugin {
    /// Compiles it, and starts an instance. The error is for the log.
    pub fn load(
        main: &Main,
        place: Place,
        name: &str,
        bytes: &[u8],
        parameters: &[Vec<u8>],
    ) -> Result<Rc<Plugin>, String> {
        let conf = main.conf.load(name, bytes, parameters);
        // Workers may neither read nor write there.
        let level = match place {
            Place::Worker => Level::Info,
            Place::Elsewhere => Level::Warn,
        };
        cache::tell(log(), level, &main.conf, name);
        let conf = conf?;
        let plugin = Rc::new(Plugin {
            main,
            callbacks: conf.guest.callbacks().unwrap_or_default(),
            conf,
            running: OnceCell::new(),
        });
        match place {
            Place::Elsewhere => plugin.try_with(None)?,
            Place::Worker => {
                plugin.instance(log())?;
            }
        }
        ALL.with_borrow_mut(|all| {
            all.retain(|plugin| plugin.strong_count() > 0);
            all.push(Rc::downgrade(&plugin));
        });
        Ok(plugin)
    }

    pub fn name(&self) -> &str {
        &self.conf.name
    }

    fn main(&self) -> &Main {
        // SAFETY: Lua's machine, which has the plugin, is closed before the cycle's configuration goes.
        unsafe { &*self.main }
    }

    /// A configuration of its own, for instances of this place.
    fn own_main(&self, place: Place) -> Result<Main, String> {
        let main = self.main();
        let shared = place.shared(main).ok_or("there is no memory to share")?;
        let mut own = main.beside(place.kind(), self.conf.clone(), Some(shared));
        upstreams::name_upstreams(&mut own, log()).map_err(|(_, error)| error)?;
        upstreams::check_upstreams(&own, INDEX, log())?;
        Ok(own)
    }

    /// Starts an instance that is thrown away, with a plugin context of this configuration.
    fn try_with(&self, configuration: Option<&[u8]>) -> Result<(), String> {
        let own = self.own_main(Place::Elsewhere)?;
        let ticker = own.conf.engine()?.start_ticker(own.conf.shortest_time());
        // The thread runs as long as the guest does here: it has ended before nginx forks.
        let _ticker = ticker.map_err(|error| error.to_string())?;
        let instance = instance::start(Place::Elsewhere.kind(), &own, INDEX, log());
        let instance = instance.map_err(|(_, error)| error)?;
        if let Some(configuration) = configuration {
            let root = instance.create_root(self.plugin_config(configuration.into()));
            root.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn plugin_config(&self, configuration: Arc<[u8]>) -> PluginConfig {
        PluginConfig {
            name: self.name().as_bytes().to_vec(),
            root_id: Vec::new(),
            configuration,
        }
    }

    /// The instance that runs, or a new one. The error is for the log.
    fn instance(&self, log_of_request: Log) -> Result<Rc<Instance>, String> {
        let running = match self.running.get() {
            Some(running) => running,
            None => {
                let main = Box::new(self.own_main(Place::Worker)?);
                // SAFETY: `main` goes behind the modules, and the log is the cycle's.
                let modules = unsafe { Modules::new(&main, log()) };
                self.running.get_or_init(|| Running { modules, main })
            }
        };
        let instance = running.modules.instance(INDEX, log_of_request);
        instance.ok_or_else(|| "did not start".to_owned())
    }

    /// Reports an error.
    pub fn complain(&self, log: Log, error: impl Display) {
        let name = self.name();
        log.write(Level::Error, format_args!("[wasm] {name}: {error}"));
    }
}

impl PluginContext {
    /// Configures a plugin. The error is for the log.
    pub fn new(
        plugin: &Rc<Plugin>,
        place: Place,
        configuration: &[u8],
    ) -> Result<Rc<PluginContext>, String> {
        let chain = Chain::new(vec![Link {
            filter: NO_FILTER,
            callbacks: plugin.callbacks,
            on_failure: plugin.conf.on_failure,
            header_stop: plugin.conf.header_stop,
        }]);
        let context = PluginContext {
            plugin: plugin.clone(),
            configuration: configuration.into(),
            chain,
            root: RefCell::default(),
        };
        match place {
            Place::Worker => {
                context.root(log())?;
            }
            Place::Elsewhere => plugin.try_with(Some(configuration))?,
        }
        Ok(Rc::new(context))
    }

    /// The instance that it has its root context in, if that is there.
    pub fn made_in(&self) -> Option<Rc<Instance>> {
        self.root.borrow().as_ref()?.0.upgrade()
    }

    /// The instance that runs, and the root context in it, which is made where there is none. The error is for the log.
    pub fn root(&self, log: Log) -> Result<(Rc<Instance>, ContextId), String> {
        let instance = self.plugin.instance(log)?;
        if let Some((known, root)) = &*self.root.borrow()
            && std::ptr::eq(known.as_ptr(), &*instance)
        {
            return Ok((instance, *root));
        }
        let config = self.plugin.plugin_config(self.configuration.clone());
        let root = instance.create_root(config);
        let root = root.map_err(|error| error.to_string())?;
        self.root.replace(Some((Rc::downgrade(&instance), root)));
        Ok((instance, root))
    }
}

impl Drop for PluginContext {
    fn drop(&mut self) {
        if let Some((instance, root)) = self.root.take()
            && let Some(instance) = instance.upgrade()
        {
            instance.end_root(root);
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        if let Some(running) = self.running.get() {
            running.end();
        }
    }
}

impl Running {
    fn end(&self) {
        self.modules.shutdown();
        sum_up(&self.main);
    }
}

/// The worker exits: all root contexts end, whoever has them.
pub fn shutdown() {
    let all = ALL.take();
    for plugin in all.iter().filter_map(Weak::upgrade) {
        if let Some(running) = plugin.running.get() {
            running.end();
        }
    }
}
