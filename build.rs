//! Passes the features and the version of the nginx that `nginx-sys` was built against on as
//! `cfg` values, and links the module so that it stays mapped.

/// Versions of nginx that changed something the module depends on.
const VERSION_CHECKS: &[(u64, &str)] = &[
    // ngx_table_elt_t.next: repeated known headers became linked lists instead of arrays.
    (1_023_000, "nginx1_23_0"),
    // `resolve` of servers in upstream blocks: their lists change while nginx runs.
    (1_027_003, "nginx1_27_3"),
];

fn main() {
    let metadata = |name: &str| {
        println!("cargo::rerun-if-env-changed=DEP_NGINX_{name}");
        std::env::var(format!("DEP_NGINX_{name}")).ok()
    };

    println!(
        "cargo::rustc-check-cfg=cfg(ngx_feature, values({}))",
        metadata("FEATURES_CHECK").unwrap_or_else(|| "any()".into())
    );
    for feature in metadata("FEATURES").iter().flat_map(|f| f.split(',')) {
        println!("cargo::rustc-cfg=ngx_feature=\"{}\"", feature.trim());
    }

    let version: u64 = metadata("VERSION_NUMBER")
        .and_then(|v| v.parse().ok())
        .expect("nginx-sys tells the version of nginx");
    for (since, name) in VERSION_CHECKS {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if version >= *since {
            println!("cargo::rustc-cfg={name}");
        }
    }

    // A reload that drops `load_module` must not unmap the signal handlers that Wasmtime has
    // installed for the whole process.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
