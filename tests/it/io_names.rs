//! Programs written against `std::io` compile against `giambio::io`, and do the same.

/// The same program against two modules.
macro_rules! program {
    ($name:ident, $($io:tt)+) => {
        mod $name {
            use $($io)+::prelude::*;
            use $($io)+::*;

            /// Every stable name, besides those of the prelude.
            #[expect(unused_imports, reason = "that they are there is the claim")]
            mod every_name {
                use $($io)+::{self, BufRead, Read, Seek, Write, IsTerminal};
                use $($io)+::{BufReader, BufWriter, Bytes, Chain, Cursor, Empty, Error, IntoInnerError};
                use $($io)+::{IoSlice, IoSliceMut, LineWriter, Lines, PipeReader, PipeWriter, Repeat};
                use $($io)+::{Sink, Split, Stderr, StderrLock, Stdin, StdinLock, Stdout, StdoutLock};
                use $($io)+::{Take, WriterPanicked, ErrorKind, SeekFrom, Result};
                use $($io)+::{copy, empty, pipe, read_to_string, repeat, sink, stderr, stdin, stdout};
            }

            /// Traits and adapters, by their names alone.
            pub(super) fn adapted() -> Result<String> {
                let mut file = BufWriter::new(Cursor::new(Vec::new()));
                writeln!(file, "one")?;
                let parts = [IoSlice::new(b"two\n"), IoSlice::new(b"three")];
                assert_eq!(file.write_vectored(&parts)?, 9);
                let mut file = file.into_inner().map_err(IntoInnerError::into_error)?;
                file.seek(SeekFrom::Start(4))?;
                let lines: Lines<_> = BufReader::new(file).lines();
                let joined = lines.collect::<Result<Vec<_>>>()?.join("+");
                let mut all = joined.as_bytes().chain(repeat(b'!').take(3)).chain(empty());
                let mut text = read_to_string(&mut all)?;
                copy(&mut text.as_bytes(), &mut sink())?;
                text.push_str(&Error::from(ErrorKind::BrokenPipe).to_string());
                Ok(text)
            }

            /// The pipe, moved into whatever asks for std's traits.
            pub(super) fn piped() -> Result<Vec<String>> {
                let (reader, mut writer): (PipeReader, PipeWriter) = pipe()?;
                let mut other = writer.try_clone()?;
                writer.write_all(b"one\n")?;
                (&other).write_all(b"two\n")?;
                other.flush()?;
                drop((writer, other));
                BufReader::new(&reader).lines().collect()
            }

            /// Handles and locks, without a read.
            pub(super) fn standard() -> Result<()> {
                let (input, output): (Stdin, Stdout) = (stdin(), stdout());
                let locked: StdoutLock<'static> = output.lock();
                drop(locked);
                let locked: StdinLock<'static> = input.lock();
                drop(locked);
                let _ = (input.is_terminal(), output.is_terminal(), stderr().is_terminal());
                let _: fn(&Stdin, &mut String) -> Result<usize> = Stdin::read_line;
                let _: fn(Stdin) -> Lines<StdinLock<'static>> = Stdin::lines;
                fn reads<T: Read>(_: T) {}
                fn writes<T: Write>(_: T) {}
                reads(&input);
                reads(input);
                (&output).flush()?;
                writes(&output);
                writes(output);
                Ok(())
            }
        }
    };
}

program!(with_std, std::io);
program!(with_ours, giambio::io);

#[test]
fn traits_and_adapters_are_stds() {
    assert_eq!(with_ours::adapted().unwrap(), with_std::adapted().unwrap());
}

#[test]
fn a_program_with_a_pipe_does_the_same_inside_and_outside_of_run() {
    let expected = with_std::piped().unwrap();
    assert_eq!(with_ours::piped().unwrap(), expected);
    assert_eq!(giambio::run(with_ours::piped).unwrap(), expected);
}

#[test]
fn a_program_with_standard_streams_does_the_same_inside_and_outside_of_run() {
    with_std::standard().unwrap();
    with_ours::standard().unwrap();
    giambio::run(with_ours::standard).unwrap();
}

#[test]
fn an_error_of_ours_is_an_error_of_stds() {
    let error: std::io::Error = giambio::io::Error::other(giambio::io::Cancelled);
    let result: giambio::io::Result<()> = Err(error);
    assert!(result.is_err());
}
