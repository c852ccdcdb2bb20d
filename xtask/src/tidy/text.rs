//! Rust sources as the rules see them: code without comments and strings, and without what is only for tests.
//!
//! Everything that is left out is replaced by blanks, so lines and columns stay what they were.

/// One file.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// From the root of the workspace, with forward slashes.
    pub(super) path: String,
    pub(super) text: String,
    /// Without comments, strings and characters.
    pub(super) code: String,
    /// `code`, without items that are for tests.
    pub(super) plain: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let code = without_strings(text);
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        let plain = if is_test { blank(&code) } else { without_tests(&code) };
        Self { path: path.to_string(), text: text.to_string(), code, plain }
    }

    /// Lines that are more than blanks in `plain`, counted to the last one.
    pub(super) fn length(&self) -> usize {
        self.plain.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).last().map_or(0, |(at, _)| at + 1)
    }
}

/// The words of `code` with the line each is on: identifiers and numbers, and where they begin.
pub(super) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.lines().enumerate().flat_map(move |(number, line)| {
        line.split(move |c| !is_word(c)).filter(|word| !word.is_empty()).map(move |word| (number + 1, word))
    })
}

fn blank(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { c } else { ' ' }).collect()
}

/// Where a comment, string or character that begins with the first character of `rest` ends; zero if none does.
fn skipped(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with("r\"") || rest.starts_with("r#") {
        let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
        let end = format!("\"{}", "#".repeat(hashes));
        let body = 2 + hashes;
        return match rest.get(body - 1..body) {
            Some("\"") => rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len()),
            _ => 0,
        };
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    // A character, unless it is a lifetime.
    let mut chars = rest.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\''), Some('\\'), _) => quoted(rest, '\''),
        (Some('\''), Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}

/// The length of what begins and ends with `mark`, backslashes heeded.
fn quoted(rest: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn without_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_word = false;
    while let Some(c) = rest.chars().next() {
        // The r of `for` begins no raw string.
        let length = if in_word && c == 'r' { 0 } else { skipped(rest) };
        if length > 0 {
            code += &blank(&rest[..length]);
            rest = &rest[length..];
            in_word = false;
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            in_word = c.is_ascii_alphanumeric() || c == '_';
        }
    }
    code
}

/// Blanks out each item that `cfg` allows in tests (or in the model checker) only.
fn without_tests(code: &str) -> String {
    let mut plain = code.to_string();
    for mark in ["#[cfg(test)]", "#[cfg(all(test", "#[cfg(any(test, loom))]", "#[cfg(loom)]"] {
        while let Some(start) = plain.find(mark) {
            let end = start + item_length(&plain[start..]);
            let gone = blank(&plain[start..end]);
            plain.replace_range(start..end, &gone);
        }
    }
    plain
}

/// How long an item is: to its semicolon, or to the brace that closes its first one.
fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_blanked_and_lines_stay() {
        let text =
            "let a = \"unsafe \\\" {\"; // todo!\nlet b = '{'; /* x */ fn f<'a>(s: &'a str) {}\nr#\"un\"safe\"# '\\''";
        let code = without_strings(text);
        for gone in ["unsafe", "todo", "'{'", "x", "safe"] {
            assert!(!code.contains(gone), "{gone}: {code}");
        }
        assert!(code.contains("fn f<'a>(s: &'a str) {}"));
        assert_eq!((code.len(), code.lines().count()), (text.len(), 3));
        assert_eq!(without_strings("for \"x\" in"), "for     in");
    }

    #[test]
    fn what_is_for_tests_is_no_plain_code() {
        let source = Source::new(
            "a.rs",
            "fn a() {}\n#[cfg(test)]\nextern crate std;\nfn b() {}\n#[cfg(test)]\nmod tests {\n fn c() { {} }\n}\n",
        );
        assert!(source.plain.contains("fn a") && source.plain.contains("fn b"));
        assert!(!source.plain.contains("std") && !source.plain.contains("fn c"));
        assert_eq!(source.length(), 4);
        assert_eq!(Source::new("core/src/engine/tests.rs", "fn a() {}").length(), 0);
    }

    #[test]
    fn words_know_their_lines() {
        assert_eq!(words("a::b\n c(1)").collect::<Vec<_>>(), [(1, "a"), (1, "b"), (2, "c"), (2, "1")]);
    }
}
