//! As much of ELF as it takes to ask an object file who calls whom, and how much there is of what.
//!
//! The compiler gives each function and each constant a section of its own, and whatever one of them refers to is
//! a relocation. So the graph of sections is the call graph, with everything that is reached through a table of
//! function pointers in it. No tool of a toolchain is needed, and the target does not matter.

use std::collections::{BTreeMap, BTreeSet};

const SHT_SYMTAB: u32 = 2;
const SHT_RELA: u32 = 4;
const SHT_REL: u32 = 9;
const SHF_EXECINSTR: u64 = 4;
const STT_SECTION: u8 = 3;

/// What a relocation can lead to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    /// A section of this object, by number.
    Inside(usize),
    /// A name that somebody else has to supply.
    Outside(String),
}

#[derive(Debug)]
struct Section {
    name: String,
    kind: u32,
    flags: u64,
    offset: usize,
    size: usize,
    link: usize,
    info: usize,
}

#[derive(Debug)]
struct Symbol {
    name: String,
    section: usize,
    size: usize,
    is_section: bool,
}

/// An object file.
#[derive(Debug)]
pub(crate) struct Object {
    sections: Vec<Section>,
    symbols: Vec<Symbol>,
    edges: BTreeMap<usize, BTreeSet<Node>>,
}

impl Object {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file = Reader::new(bytes).ok_or("it is no little-endian ELF file")?;
        let cut = "it is cut short";
        let sections = file.sections().ok_or(cut)?;
        let symbols = file.symbols(&sections).ok_or(cut)?;
        let edges = file.edges(&sections, &symbols).ok_or(cut)?;
        Ok(Self { sections, symbols, edges })
    }

    /// The symbols whose names begin with `prefix`, without it, and where each is.
    pub(crate) fn named<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, Node)> + 'a {
        let defined = self.symbols.iter().filter(|symbol| symbol.section != 0);
        defined.filter_map(move |symbol| Some((symbol.name.strip_prefix(prefix)?, Node::Inside(symbol.section))))
    }

    /// The sizes of the symbols whose names begin with `prefix`.
    pub(crate) fn sizes<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, usize)> + 'a {
        self.symbols.iter().filter_map(move |symbol| Some((symbol.name.strip_prefix(prefix)?, symbol.size)))
    }

    /// What `node` refers to.
    pub(crate) fn next(&self, node: &Node) -> impl Iterator<Item = &Node> {
        let section = if let Node::Inside(section) = node { self.edges.get(section) } else { None };
        section.into_iter().flatten()
    }

    /// What `node` is called: its function, or its section.
    pub(crate) fn name<'a>(&'a self, node: &'a Node) -> &'a str {
        match node {
            Node::Outside(name) => name,
            Node::Inside(section) => {
                let of_section = |symbol: &&Symbol| symbol.section == *section && is_function(symbol);
                let symbol = self.symbols.iter().find(of_section);
                symbol.map_or_else(|| self.sections.get(*section).map_or("", |s| &s.name), |s| &s.name)
            }
        }
    }

    /// Whether `node` is code of this object.
    pub(crate) fn is_code(&self, node: &Node) -> bool {
        let Node::Inside(section) = node else { return false };
        self.sections.get(*section).is_some_and(|section| section.flags & SHF_EXECINSTR != 0)
    }

    /// Bytes of code.
    pub(crate) fn code_bytes(&self) -> usize {
        self.sections.iter().filter(|section| section.flags & SHF_EXECINSTR != 0).map(|section| section.size).sum()
    }
}

/// ARM marks where code and data begin with symbols like `$t`, which are no names.
fn is_function(symbol: &Symbol) -> bool {
    !symbol.is_section && !symbol.name.is_empty() && !symbol.name.starts_with('$')
}

/// Bytes of a file, and how wide its fields are.
struct Reader<'a> {
    bytes: &'a [u8],
    wide: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let wide = match bytes.get(..6)? {
            [0x7f, b'E', b'L', b'F', 1, 1] => false,
            [0x7f, b'E', b'L', b'F', 2, 1] => true,
            _ => return None,
        };
        Some(Self { bytes, wide })
    }

    /// The number of `length` bytes at `at`.
    fn number(&self, at: usize, length: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The same, as an index or a size.
    fn index(&self, at: usize, length: usize) -> Option<usize> {
        usize::try_from(self.number(at, length)?).ok()
    }

    /// The name at `offset` of the string table.
    fn text(&self, table: &Section, offset: usize) -> Option<String> {
        let rest = self.bytes.get(table.offset.checked_add(offset)?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(rest.get(..end)?).into_owned())
    }

    fn sections(&self) -> Option<Vec<Section>> {
        let wide = self.wide;
        let start = if wide { self.index(40, 8)? } else { self.index(32, 4)? };
        let tail = if wide { 58 } else { 46 };
        let (entry, count, names) = (self.index(tail, 2)?, self.index(tail + 2, 2)?, self.index(tail + 4, 2)?);
        let mut sections = Vec::new();
        let mut name_offsets = Vec::new();
        for at in (0..count).map(|number| start + number * entry) {
            name_offsets.push(self.index(at, 4)?);
            let kind = u32::try_from(self.number(at + 4, 4)?).ok()?;
            let name = String::new();
            sections.push(if wide {
                let (flags, offset, size) = (self.number(at + 8, 8)?, self.index(at + 24, 8)?, self.index(at + 32, 8)?);
                Section {
                    name,
                    kind,
                    flags,
                    offset,
                    size,
                    link: self.index(at + 40, 4)?,
                    info: self.index(at + 44, 4)?,
                }
            } else {
                let (flags, offset, size) = (self.number(at + 8, 4)?, self.index(at + 16, 4)?, self.index(at + 20, 4)?);
                Section {
                    name,
                    kind,
                    flags,
                    offset,
                    size,
                    link: self.index(at + 24, 4)?,
                    info: self.index(at + 28, 4)?,
                }
            });
        }
        for (number, offset) in name_offsets.into_iter().enumerate() {
            sections[number].name = self.text(sections.get(names)?, offset)?;
        }
        Some(sections)
    }

    fn symbols(&self, sections: &[Section]) -> Option<Vec<Symbol>> {
        let table = sections.iter().find(|section| section.kind == SHT_SYMTAB)?;
        let names = sections.get(table.link)?;
        let entry = if self.wide { 24 } else { 16 };
        let mut symbols = Vec::new();
        for at in (0..table.size / entry).map(|number| table.offset + number * entry) {
            let (info, section, size) = if self.wide {
                (self.number(at + 4, 1)?, self.index(at + 6, 2)?, self.index(at + 16, 8)?)
            } else {
                (self.number(at + 12, 1)?, self.index(at + 14, 2)?, self.index(at + 8, 4)?)
            };
            let name = self.text(names, self.index(at, 4)?)?;
            symbols.push(Symbol { name, section, size, is_section: info as u8 & 0xf == STT_SECTION });
        }
        Some(symbols)
    }

    fn edges(&self, sections: &[Section], symbols: &[Symbol]) -> Option<BTreeMap<usize, BTreeSet<Node>>> {
        let mut edges: BTreeMap<usize, BTreeSet<Node>> = BTreeMap::new();
        for table in sections.iter().filter(|section| [SHT_REL, SHT_RELA].contains(&section.kind)) {
            let field = if self.wide { 8 } else { 4 };
            let entry = field * if table.kind == SHT_RELA { 3 } else { 2 };
            for at in (0..table.size / entry).map(|number| table.offset + number * entry) {
                let info = self.number(at + field, field)?;
                let number = if self.wide { info >> 32 } else { info >> 8 };
                let symbol = symbols.get(usize::try_from(number).ok()?)?;
                let node = if symbol.section == 0 && !symbol.name.is_empty() {
                    Node::Outside(symbol.name.clone())
                } else {
                    Node::Inside(symbol.section)
                };
                edges.entry(table.info).or_default().insert(node);
            }
        }
        Some(edges)
    }
}

/// A mangled Rust name as far as a person needs it: the words in it, joined.
pub(crate) fn plain(name: &str) -> String {
    if !name.starts_with("_ZN") && !name.starts_with("_R") {
        return name.to_string();
    }
    // The newer mangling puts a hash before a crate's name, between `Cs` and a low line.
    let mut clean = name.to_string();
    while let Some(start) = clean.find("Cs").filter(|_| name.starts_with("_R")) {
        let end = clean[start..].find('_').map_or(clean.len(), |end| start + end + 1);
        clean.replace_range(start..end, "");
    }
    let mut words = Vec::new();
    let mut rest = clean.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        rest = &rest[start..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let length: usize = rest[..digits].parse().unwrap_or(0);
        match rest.get(digits..digits + length) {
            Some(word) if length > 1 => {
                words.push(word.trim_start_matches('_'));
                rest = &rest[digits + length..];
            }
            _ => rest = &rest[digits..],
        }
    }
    words.retain(|word| !(word.starts_with('h') && word.len() == 17));
    words.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mangled_names_become_words() {
        assert_eq!(
            plain("_ZN14soundpost_core5codec12opus_samples17he1147b1bef46655dE"),
            "soundpost_core::codec::opus_samples"
        );
        assert_eq!(plain("_RNvNtCs7ldSeZOOJos_4core9panicking9panic_fmt"), "core::panicking::panic_fmt");
        assert_eq!(plain("entry_pool"), "entry_pool");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(Object::parse(b"").is_err());
        assert!(Object::parse(b"!<arch>\n").is_err());
        assert!(Object::parse(b"\x7fELF\x02\x01").unwrap_err().contains("cut short"));
    }

    #[test]
    fn this_very_program_can_be_read() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let object = Object::parse(&bytes).unwrap();
        assert!(object.code_bytes() > 10_000);
        assert_eq!(object.named("main").filter(|(rest, _)| rest.is_empty()).count(), 1);
    }
}
