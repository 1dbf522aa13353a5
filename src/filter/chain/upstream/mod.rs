//! The servers of a request's upstream: which there are, and which one a filter has chosen.

pub mod balancer;
pub mod chosen;

use proxy_wasm_host::{OwnedPairs, Status};

use crate::filter::chain::chains::Chains;
use crate::filter::chain::properties::route;
use crate::nginx::peers;
use crate::nginx::peers::Server;
use crate::nginx::request::Request;

/// The servers of the upstream that the request goes to. As in Higress' Envoy, each has a state of health and
/// metrics, which are nginx's own numbers.
pub fn hosts(request: Request) -> Result<OwnedPairs, Status> {
    let block = route::upstream_block(request).ok_or(Status::NotFound)?;
    let balancers = &Chains::of(request).ok_or(Status::NotFound)?.balancers;
    if !balancers.know(block) {
        return Err(Status::NotFound);
    }
    let mut hosts = OwnedPairs::new();
    // SAFETY: by what was just asked; the configuration outlives the request.
    unsafe {
        for (index, list) in peers::lists(block).enumerate() {
            list.visit(index > 0, |server| {
                hosts.push((server.address().to_vec(), json(&server)));
            });
        }
    }
    Ok(hosts)
}

/// A backup server that is healthy is `Degraded`, which is Envoy's word for one that serves where no better one does.
fn json(server: &Server<'_>) -> Vec<u8> {
    let status = match (server.is_healthy(), server.backup) {
        (false, _) => "Unhealthy",
        (true, true) => "Degraded",
        (true, false) => "Healthy",
    };
    let metrics: String = [
        ("active", server.connections() as i128),
        ("max_conns", server.max_connections() as i128),
        ("weight", server.weight() as i128),
        ("fails", server.fails() as i128),
    ]
    .map(|(name, value)| {
        let name = format!("nginx_upstream_server_{name}");
        format!("# TYPE {name} gauge\\n{name} {value}\\n")
    })
    .concat();
    format!(r#"{{"health_status":"{status}","metrics":"{metrics}"}}"#).into_bytes()
}
