//! The manifest as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Manifest;
use super::modules::{Module, Source, name_all};
use crate::error::ManifestError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    #[serde(default)]
    wasm: Vec<JsonModule>,
    #[serde(default)]
    memory: JsonMemory,
    #[serde(default)]
    config: BTreeMap<String, String>,
    allowed_hosts: Option<Vec<String>>,
    allowed_paths: Option<BTreeMap<String, PathBuf>>,
    timeout_ms: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonMemory {
    max_pages: Option<u32>,
    max_http_response_bytes: Option<u64>,
    max_var_bytes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonModule {
    path: Option<PathBuf>,
    data: Option<String>,
    /// With the two below it; only to be refused.
    url: Option<IgnoredAny>,
    #[serde(rename = "headers")]
    _headers: Option<IgnoredAny>,
    #[serde(rename = "method")]
    _method: Option<IgnoredAny>,
    name: Option<String>,
    hash: Option<String>,
}

pub fn parse(json: &[u8]) -> Result<Manifest, ManifestError> {
    let json: Json =
        serde_json::from_slice(json).map_err(|error| ManifestError::Json(error.to_string()))?;
    let mut modules = Vec::new();
    for (index, module) in json.wasm.into_iter().enumerate() {
        modules.push(read(module, index + 1)?);
    }
    let mut manifest = Manifest::of_module(Vec::new());
    manifest.modules = name_all(modules)?;
    manifest.max_pages = json.memory.max_pages;
    if let Some(max) = json.memory.max_http_response_bytes {
        manifest.max_http_response_bytes = max;
    }
    if let Some(max) = json.memory.max_var_bytes {
        manifest.max_var_bytes = max;
    }
    manifest.config = json.config;
    for host in json.allowed_hosts.unwrap_or_default() {
        manifest.allow_host(&host)?;
    }
    manifest.allowed_paths = json.allowed_paths.unwrap_or_default();
    manifest.timeout = json.timeout_ms.map(Duration::from_millis);
    Ok(manifest)
}

/// A module by its number, from 1 on.
fn read(module: JsonModule, number: usize) -> Result<(Option<String>, Module), ManifestError> {
    let source = match (module.path, module.data, module.url) {
        (_, _, Some(_)) => return Err(ManifestError::Url(number)),
        (Some(_), Some(_), None) => return Err(ManifestError::TwoSources(number)),
        (None, None, None) => return Err(ManifestError::NoSource(number)),
        (Some(path), None, None) => Source::Path(path),
        (None, Some(data), None) => {
            let data = STANDARD.decode(data);
            Source::Data(data.map_err(|error| ManifestError::Base64(number, error))?)
        }
    };
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if let Some(hash) = &module.hash
        && (hash.len() != 64 || !hash.bytes().all(is_digit))
    {
        return Err(ManifestError::Hash(number));
    }
    let named = Module {
        name: String::new(),
        source,
        hash: module.hash,
    };
    Ok((module.name, named))
}
