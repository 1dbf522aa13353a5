fn main() {
    // The old SDK declares its imports without a module's name: to the linker
    // they are undefined symbols, which rustc allowed by itself before 1.96.
    println!("cargo::rustc-cdylib-link-arg=--allow-undefined");
    println!("cargo::rerun-if-changed=build.rs");
}
