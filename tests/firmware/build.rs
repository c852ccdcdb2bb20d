//! Tells the linker about the board: here, so that it also holds when `RUSTFLAGS` is set.

fn main() {
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where this is");
    println!("cargo:rustc-link-search={here}");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    println!("cargo:rerun-if-changed=memory.x");
}
