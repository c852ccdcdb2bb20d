//! A small ARM board: the program built for it, and a whole one, emulated, that the program is tested on.
//!
//! Everything lies in `board` below the target directory and is kept there, so that only the first time needs a
//! network: Debian's kernel with its drivers, a shell, alsa-lib. The tests themselves are
//! `tests/examples/device_test`; this makes what they start.

mod image;
mod modules;
mod packages;

use crate::cli::Options;
use crate::needs::{self, Scope};
use crate::steps::{cargo, succeed, target_dir};
use crate::toolchain::{self, ARM};
use image::Image;
use modules::Modules;
use std::fs;
use std::path::{Path, PathBuf};

/// Drivers that are loaded when the board starts.
const DRIVERS: [&str; 5] = ["virtio_mmio", "virtio_console", "snd_aloop", "xhci_pci", "snd_usb_audio"];

/// Programs of alsa-utils: what plays to the daemon, records it, and turns its card's clock.
const PLAYERS: [&str; 3] = ["aplay", "arecord", "amixer"];

/// The C library that the program and those need.
const C_LIBRARY: [&str; 4] = ["ld-linux-armhf.so.3", "libc.so.6", "libm.so.6", "libgcc_s.so.1"];

/// Builds the program for a small board, and says how large it is.
pub(crate) fn cross(options: &Options) -> Result<(), String> {
    needs::ensure(Scope::Board, options.yes)?;
    let program = program(&folder()?)?;
    let bytes = fs::metadata(&program).map_err(|error| format!("cannot read {}: {error}", program.display()))?.len();
    println!("{}: {bytes} bytes, stripped, for {ARM}", program.display());
    Ok(())
}

/// Builds the board and lets the tests loose on it.
pub(crate) fn device_test(options: &Options) -> Result<(), String> {
    needs::ensure(Scope::Everything, options.yes)?;
    let board = folder()?;
    let program = program(&board)?;
    let system = packages::unpacked(&packages::SYSTEM, &board)?;
    let kernel = kernel(&system)?;
    let file = board.join("image.cpio");
    let bytes = image(&board, &system, &program)?;
    fs::write(&file, bytes).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    let mut tests = cargo(["run", "--quiet", "-p", "soundpost-tests", "--example", "device_test", "--"]);
    tests.arg("--kernel").arg(kernel).arg("--image").arg(file).arg("--folder").arg(board.join("last"));
    if let Some(soak) = &options.soak {
        tests.arg("--soak").arg(soak);
    }
    tests.args(&options.rest);
    succeed(tests)
}

fn folder() -> Result<PathBuf, String> {
    let folder = target_dir()?.join("board");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}

/// The program, built for the board.
fn program(board: &Path) -> Result<PathBuf, String> {
    toolchain::ensure_target(ARM)?;
    let libraries = packages::unpacked(&packages::LIBRARIES, board)?;
    let mut build = cargo(["build", "--release", "-p", "soundpost-linux", "--target", ARM]);
    build.env("CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER", "arm-linux-gnueabihf-gcc");
    build.env("CFLAGS_armv7_unknown_linux_gnueabihf", "-mfpu=neon -mfloat-abi=hard");
    // alsa-lib, and nothing of this machine's own.
    build.env("PKG_CONFIG_ALLOW_CROSS", "1").env("PKG_CONFIG_SYSROOT_DIR", &libraries);
    build.env("PKG_CONFIG_LIBDIR", packages::libraries(&libraries).join("pkgconfig"));
    succeed(build)?;
    Ok(target_dir()?.join(ARM).join("release/soundpost"))
}

/// The kernel among the unpacked packages.
fn kernel(system: &Path) -> Result<PathBuf, String> {
    entry(&system.join("boot"), |name| name.starts_with("vmlinuz-"))
}

/// The entry of a folder that has such a name.
fn entry(folder: &Path, is_it: impl Fn(&str) -> bool) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let found = paths.find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&is_it));
    found.ok_or_else(|| format!("{} does not hold what the package should have put there", folder.display()))
}

/// `bin/busybox`, `lib/modules`: they lie at the top or, in newer packages, below `usr`.
fn at_top_or_usr(system: &Path, path: &str) -> PathBuf {
    let at_top = system.join(path);
    if at_top.exists() { at_top } else { system.join("usr").join(path) }
}

/// The board's file system, all of it in memory.
fn image(board: &Path, system: &Path, program: &Path) -> Result<Vec<u8>, String> {
    let mut image = Image::default();
    for folder in ["bin", "lib", "proc", "sys", "dev", "tmp", "run", "modules", "usr", "usr/share"] {
        image.folder(folder);
    }
    // Where the first process writes before it has mounted anything.
    image.device("dev/console", 5, 1);
    image.file("init", include_bytes!("init.sh"));
    image.copy(&at_top_or_usr(system, "bin/busybox"), "bin/busybox")?;
    for player in PLAYERS {
        image.copy(&system.join("usr/bin").join(player), &format!("bin/{player}"))?;
    }
    image.copy(program, "bin/soundpost")?;
    let libraries = packages::unpacked(&packages::LIBRARIES, board)?;
    image.copy(&packages::libraries(&libraries).join("libasound.so.2"), "lib/libasound.so.2")?;
    for file in C_LIBRARY {
        image.copy(&packages::c_library(file)?, &format!("lib/{file}"))?;
    }
    image.copy_all(&system.join("usr/share/alsa"), "usr/share/alsa")?;
    add_drivers(&mut image, &entry(&at_top_or_usr(system, "lib/modules"), |_| true)?)?;
    Ok(image.finish())
}

/// The drivers, and the order in which they are loaded.
fn add_drivers(image: &mut Image, of_kernel: &Path) -> Result<(), String> {
    let drivers = Modules::below(of_kernel)?.in_order(&DRIVERS)?;
    let order: String = drivers.iter().map(|module| format!("{}\n", module.name)).collect();
    image.file("modules/order", order.as_bytes());
    for module in drivers {
        image.file(&format!("modules/{}.ko", module.name), &module.bytes);
    }
    Ok(())
}
