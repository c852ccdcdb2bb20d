//! Kernel modules: which of them a list of names needs, in the order in which they have to be loaded.
//!
//! A package of a kernel has no `modules.dep` (that is made when it is installed), so the dependencies are read from
//! where `depmod` would read them: the modules themselves.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A module, by its name with underscores.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// The modules of a kernel.
pub(super) struct Modules(HashMap<String, PathBuf>);

impl Modules {
    /// Those below a folder.
    pub(super) fn below(folder: &Path) -> Result<Self, String> {
        let (mut found, mut folders) = (HashMap::new(), vec![folder.to_path_buf()]);
        while let Some(folder) = folders.pop() {
            let entries =
                fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else if let Some(name) = module_name(&path) {
                    found.insert(name, path);
                }
            }
        }
        Ok(Self(found))
    }

    /// `names` and what they need, each after what it needs.
    pub(super) fn in_order(&self, names: &[&str]) -> Result<Vec<Module>, String> {
        let mut order = Vec::new();
        for name in names {
            self.add(name, &mut order)?;
        }
        Ok(order)
    }

    fn add(&self, name: &str, order: &mut Vec<Module>) -> Result<(), String> {
        let name = name.replace('-', "_");
        if order.iter().any(|module| module.name == name) {
            return Ok(());
        }
        let path = self.0.get(&name).ok_or_else(|| format!("the kernel has no module {name}"))?;
        let bytes = contents(path)?;
        // No circle: the kernel could not load one either.
        for dependency in dependencies(&bytes) {
            self.add(&dependency, order)?;
        }
        order.push(Module { name, bytes });
        Ok(())
    }
}

fn module_name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let name = file.strip_suffix(".ko").or_else(|| file.strip_suffix(".ko.xz"))?;
    Some(name.replace('-', "_"))
}

fn contents(path: &Path) -> Result<Vec<u8>, String> {
    if path.extension().is_some_and(|extension| extension == "xz") {
        let done = Command::new("xz").args(["--decompress", "--stdout"]).arg(path).output();
        let done = done.map_err(|error| format!("cannot start xz (in the package xz-utils): {error}"))?;
        return if done.status.success() { Ok(done.stdout) } else { Err(format!("xz cannot read {}", path.display())) };
    }
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// What a module says that it needs: `depends=a,b` among the zero-ended texts of its `.modinfo`.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or(&[]);
    let value = String::from_utf8_lossy(value);
    value.split(',').filter(|name| !name.is_empty()).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_the_module() {
        assert_eq!(dependencies(b"\x7fELF\0license=GPL\0depends=snd-pcm,snd\0retpoline=Y\0"), ["snd-pcm", "snd"]);
        assert!(dependencies(b"\0depends=\0x").is_empty());
        assert!(dependencies(b"nothing").is_empty());
    }

    #[test]
    fn a_module_comes_after_what_it_needs_and_once() {
        let folder = std::env::temp_dir().join(format!("soundpost-modules-{}", std::process::id()));
        fs::create_dir_all(folder.join("sound")).unwrap();
        for (file, needs) in [("snd.ko", ""), ("sound/snd-pcm.ko", "snd"), ("sound/snd-aloop.ko", "snd-pcm,snd")] {
            fs::write(folder.join(file), format!("\0depends={needs}\0")).unwrap();
        }
        let modules = Modules::below(&folder).unwrap();
        let order = |names: &[&str]| -> Result<Vec<String>, String> {
            Ok(modules.in_order(names)?.into_iter().map(|module| module.name).collect())
        };
        assert_eq!(order(&["snd-aloop", "snd_pcm"]).unwrap(), ["snd", "snd_pcm", "snd_aloop"]);
        assert!(order(&["snd-usb"]).unwrap_err().contains("no module snd_usb"));
        fs::remove_dir_all(folder).unwrap();
    }
}
