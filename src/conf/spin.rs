//! A Spin application at a location.

use spin_app::Router;

/// An application's routes.
pub struct SpinConf {
    pub router: Router,
    /// By the routes' numbers.
    pub answers: Vec<SpinAnswer>,
}

/// What answers at a route.
pub enum SpinAnswer {
    /// A component: its place among the modules.
    Module(usize),
    Static {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
}
