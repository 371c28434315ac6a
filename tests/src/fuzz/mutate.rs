//! Changes examples: bits, bytes, numbers, words of the language, ranges of this input or of another, and depth.

/// Numbers at which arithmetic breaks.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "0.5",
    "-0.0",
    "127",
    "256",
    "65536",
    "2147483647",
    "-2147483648",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "79228162514264337593543950335",
    "0.0000000000000000000000000001",
    "1e28",
    "1e308",
    "1e-400",
    "NaN",
    "99999999999999999999999999999999999999999999999999",
];

/// What may be nested, and what closes it.
const BRACKETS: &[(&str, &str)] = &[
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("{\"a\":", "}"),
    ("!", ""),
    ("-", ""),
    ("a.", ""),
    ("a?b:", ""),
    ("[[", "]]"),
];

/// Bytes that mean most where lengths are written.
const EDGES: &[u64] = &[0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// A source of mutated inputs; the same seed gives the same ones from the same examples.
pub struct Mutator {
    state: u64,
    words: &'static [&'static str],
    limit: usize,
}

impl Mutator {
    pub fn new(seed: u64, words: &'static [&'static str], limit: usize) -> Self {
        Self { state: seed, words, limit }
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below a bound; 0 when there is none.
    fn below(&mut self, bound: usize) -> usize {
        (self.random() % (bound as u64).max(1)) as usize
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = self.below(from.len());
        from.get(index).copied()
    }

    /// A range of a length, short ones being likelier.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let longest = if self.below(4) == 0 { length - start } else { (length - start).min(16) };
        start..start + self.below(longest + 1)
    }

    /// The next input.
    pub fn next(&mut self, kept: &[Vec<u8>]) -> Vec<u8> {
        let index = self.below(kept.len());
        let mut input = kept.get(index).cloned().unwrap_or_default();
        // One change goes deepest; several find what one does not.
        let mut changes = 1;
        while self.below(3) == 0 && changes < 12 {
            changes += 1;
        }
        for _ in 0..changes {
            self.change(&mut input, kept);
        }
        input.truncate(self.limit);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, kept: &[Vec<u8>]) {
        let range = self.range(input.len());
        match self.below(13) {
            0 => {
                let bit = 1 << self.below(8);
                let at = self.below(input.len());
                input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bit);
            }
            1 => {
                let (at, new) = (self.below(input.len()), self.random() as u8);
                input.iter_mut().skip(at).take(1).for_each(|byte| *byte = new);
            }
            2 => drop(input.drain(range)),
            3 => {
                let times = if self.below(8) == 0 { self.below(2_000) } else { self.below(4) };
                let part = input.get(range.clone()).unwrap_or_default();
                let part = part.repeat(times.min(self.limit / part.len().max(1)));
                drop(input.splice(range.end..range.end, part));
            }
            4 | 5 => {
                if let Some(word) = self.choose(self.words) {
                    let over = if self.below(2) == 0 { range.start..range.start } else { range };
                    drop(input.splice(over, word.bytes()));
                }
            }
            6 | 7 => {
                let other = self.below(kept.len());
                let other = kept.get(other).map(Vec::as_slice).unwrap_or_default();
                let part = self.range(other.len());
                drop(input.splice(range, other.get(part).unwrap_or_default().iter().copied()));
            }
            8 => self.overwrite_number(input),
            9 | 10 => self.replace_digits(input),
            11 => input.truncate(range.start),
            _ => {
                let Some((open, close)) = self.choose(BRACKETS) else { return };
                let depth = 1 << self.below(13);
                let inner = input.get(range.clone()).unwrap_or_default();
                let nested = [open.repeat(depth).as_bytes(), inner, close.repeat(depth).as_bytes()].concat();
                drop(input.splice(range, nested));
            }
        }
    }

    /// Writes a number as bytes where perhaps a length was.
    fn overwrite_number(&mut self, input: &mut Vec<u8>) {
        let (number, at) = (self.choose(EDGES).unwrap_or_default(), self.below(input.len()));
        let mut bytes = if self.below(2) == 0 { number.to_le_bytes().to_vec() } else { number.to_be_bytes().to_vec() };
        bytes.truncate(1 << self.below(4));
        if self.below(3) == 0 {
            // The same as a variable-length number.
            bytes = std::iter::repeat_n(0xff, self.below(9)).chain([0x7f]).collect();
        }
        let end = (at + bytes.len()).min(input.len());
        drop(input.splice(at..end, bytes));
    }

    /// Puts another number in the place of one in digits.
    fn replace_digits(&mut self, input: &mut Vec<u8>) {
        let from = self.below(input.len());
        let Some(start) = input.iter().skip(from).position(u8::is_ascii_digit).map(|at| at + from) else { return };
        let length = input.iter().skip(start).take_while(|byte| byte.is_ascii_digit()).count();
        let number = self.choose(NUMBERS).unwrap_or_default();
        drop(input.splice(start..start + length, number.bytes()));
    }
}
