//! Requests as texts: the method and the target, headers a line each, an empty line, and the body.

use hyper::Request;

/// What stands between the parts of an input that has several.
pub const PART: &str = "\n%%\n";

/// The parts of an input; those that are not there are empty.
pub fn parts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut rest = Some(input);
    [(); N].map(|()| {
        let whole = rest.unwrap_or_default();
        match whole.windows(PART.len()).position(|window| window == PART.as_bytes()) {
            Some(at) => {
                rest = whole.get(at + PART.len()..);
                whole.get(..at).unwrap_or_default()
            }
            None => rest.take().unwrap_or_default(),
        }
    })
}

/// The request; `None` where no server would get to see such a one.
pub fn request(input: &[u8]) -> Option<Request<Vec<u8>>> {
    let end = input.windows(2).position(|window| window == b"\n\n").unwrap_or(input.len());
    let (head, body) = input.split_at(end);
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut first = lines.next()?.splitn(2, |byte| *byte == b' ');
    let mut request = Request::builder().method(first.next()?).uri(first.next()?);
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        request = request.header(line.get(..at)?, line.get(at + 1..)?.trim_ascii());
    }
    request.body(body.get(2..).unwrap_or_default().to_vec()).ok()
}
