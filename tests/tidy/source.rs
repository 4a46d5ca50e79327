//! Source text as words: comments and literals blanked, the rest cut into tokens.

pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

pub(crate) fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(crate) fn is_name(token: &str) -> bool {
    token.starts_with(is_name_part)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'text> {
    pub(crate) line: usize,
    /// A whole word, or one other character.
    pub(crate) text: &'text str,
}

pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    for (line, content) in numbered(code) {
        let mut rest = content.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match rest.find(|c| !is_name_part(c)) {
                Some(0) => first.len_utf8(),
                Some(end) => end,
                None => rest.len(),
            };
            let (text, tail) = rest.split_at(length);
            found.push(Token { line, text });
            rest = tail.trim_start();
        }
    }
    found
}

pub(crate) fn texts<'text>(tokens: &[Token<'text>], start: usize, count: usize) -> Vec<&'text str> {
    tokens.iter().skip(start).take(count).map(|token| token.text).collect()
}

/// Whether the `super` at `index` is the one of `pub(super)`.
pub(crate) fn is_visibility(tokens: &[Token<'_>], index: usize) -> bool {
    index >= 2
        && texts(tokens, index - 2, 2) == ["pub", "("]
        && texts(tokens, index + 1, 1) == [")"]
}

/// What stands behind each `crate::`, in `use` and in expressions; macros have no layer.
pub(crate) fn crate_paths<'text>(tokens: &[Token<'text>]) -> Vec<(usize, &'text str)> {
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let names_us = ["crate", "giambio"].contains(&token.text);
        if !names_us || texts(tokens, index + 1, 2) != [":", ":"] {
            continue;
        }
        let behind = texts(tokens, index + 3, 2);
        if let Some(target) = behind.first().filter(|_| behind.last() != Some(&"!")) {
            found.push((token.line, *target));
        }
    }
    found
}

pub(crate) fn macro_calls<'text>(
    tokens: &[Token<'text>],
    names: &[&str],
) -> Vec<(usize, &'text str)> {
    let calls =
        tokens.windows(2).filter(|pair| pair[1].text == "!" && names.contains(&pair[0].text));
    calls.map(|pair| (pair[0].line, pair[0].text)).collect()
}

/// The text with comments and literals blanked; every line keeps its number.
pub(crate) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = literal_length(rest, code.chars().next_back());
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let (literal, tail) = rest.split_at(skipped);
            code.extend(literal.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = tail;
        }
    }
    code
}

/// The bytes of the comment, string or character that `text` begins with, or 0.
fn literal_length(text: &str, before: Option<char>) -> usize {
    if text.starts_with("//") {
        text.find('\n').unwrap_or(text.len())
    } else if text.starts_with("/*") {
        block_comment_length(text)
    } else if text.starts_with('"') {
        string_length(text)
    } else if text.starts_with('\'') {
        character_length(text)
    } else if text.starts_with('r') && !before.is_some_and(|c| is_name_part(c) && !"bc".contains(c))
    {
        raw_string_length(text)
    } else {
        0
    }
}

fn block_comment_length(text: &str) -> usize {
    let mut depth = 0;
    let mut index = 0;
    while index < text.len() {
        let step = match text.as_bytes()[index..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        index += step.0;
        depth += step.1;
        if depth == 0 {
            return index;
        }
    }
    text.len()
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// 0 for a lifetime.
fn character_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        // `'\''`, `'\\'` and `'\u{41}'`: the closing quote is never right after the backslash.
        (Some((_, '\\')), Some((index, escaped))) => {
            let start = index + escaped.len_utf8();
            text[start..].find('\'').map_or(text.len(), |quote| start + quote + 1)
        }
        (Some(_), Some((index, '\''))) => index + 1,
        _ => 0,
    }
}

/// 0 for a raw name such as `r#type`, and for a name that begins with an r.
fn raw_string_length(text: &str) -> usize {
    let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
    let Some(content) = text[1 + hashes..].strip_prefix('"') else { return 0 };
    let end = format!("\"{}", "#".repeat(hashes));
    let length = content.find(&end).map_or(content.len(), |start| start + end.len());
    text.len() - content.len() + length
}
