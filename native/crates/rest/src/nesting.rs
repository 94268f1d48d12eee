//! How the values of a tensor are nested in JSON, and what shape that stands for.

use infermesh_wire::{Error, Shape, rows::count};

/// Learns where values and lists are while they are read, inner lists before outer ones.
pub trait Layout {
    /// A value, with so many lists around it.
    fn value(&mut self, depth: usize) -> Result<(), String>;

    /// The end of a list that has so many lists around it and so many items.
    fn list(&mut self, depth: usize, count: usize) -> Result<(), String>;
}

/// Lists do not matter.
pub struct Flat;

impl Layout for Flat {
    fn value(&mut self, _: usize) -> Result<(), String> {
        Ok(())
    }

    fn list(&mut self, _: usize, _: usize) -> Result<(), String> {
        Ok(())
    }
}

/// Lists are dimensions: those beside each other are equally long, and all values lie equally deep.
#[derive(Default)]
pub struct Nesting {
    /// By depth, the length of a list that has ended; an outer one has not while an inner one is read.
    lengths: Vec<Option<usize>>,
    /// Of the values.
    depth: Option<usize>,
}

impl Nesting {
    pub fn shape(&self) -> Shape {
        self.lengths.iter().map(|length| length.unwrap_or_default() as i64).collect()
    }
}

impl Layout for Nesting {
    fn value(&mut self, depth: usize) -> Result<(), String> {
        if *self.depth.get_or_insert(depth) == depth && self.lengths.len() <= depth {
            return Ok(());
        }
        Err("a value and a list stand side by side".to_owned())
    }

    fn list(&mut self, depth: usize, count: usize) -> Result<(), String> {
        if self.depth.is_some_and(|values| values <= depth) {
            return Err("a value and a list stand side by side".to_owned());
        }
        if self.lengths.len() <= depth {
            self.lengths.resize(depth + 1, None);
        }
        match *self.lengths[depth].get_or_insert(count) {
            other if other == count => Ok(()),
            other => Err(format!("lists side by side have {other} and {count} items")),
        }
    }
}

/// Deeper lists are none that a reader of JSON takes.
const MAX_DIMENSIONS: usize = 100;

/// Lists without any value in them: a shape may stand for more of them than there is memory.
const MAX_EMPTY: i64 = 1 << 16;

/// Whether `Form::Nested` may write a shape. Fails with INTERNAL: no model means such an output.
pub fn check_nesting(shape: &[i64], name: &str) -> Result<(), Error> {
    let lists =
        shape.iter().take_while(|&&dim| dim > 0).try_fold(1i64, |product, &dim| product.checked_mul(dim));
    let too_many = shape.contains(&0) && lists.is_none_or(|lists| lists > MAX_EMPTY);
    if !too_many && shape.len() <= MAX_DIMENSIONS {
        return Ok(());
    }
    Err(Error::internal(format!(
        "output '{name}' has a shape that cannot be written as lists: {} dimensions, {} values",
        shape.len(),
        count(shape).unwrap_or(i64::MAX)
    )))
}

/// How values are written.
#[derive(Clone, Copy)]
pub enum Form<'a> {
    /// As one list.
    Flat,
    /// As a list of lists for each dimension; without one it is a value.
    Nested(&'a [i64]),
}

impl Form<'_> {
    pub fn write<T>(
        self,
        out: &mut Vec<u8>,
        mut items: impl Iterator<Item = T>,
        put: &impl Fn(&mut Vec<u8>, T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self {
            Self::Flat => list(out, items, put),
            Self::Nested(shape) => nested(out, shape, &mut items, put),
        }
    }
}

fn nested<T>(
    out: &mut Vec<u8>,
    shape: &[i64],
    items: &mut impl Iterator<Item = T>,
    put: &impl Fn(&mut Vec<u8>, T) -> Result<(), Error>,
) -> Result<(), Error> {
    match *shape {
        [] => items.next().map_or(Ok(()), |item| put(out, item)),
        [length] => list(out, items.take(length as usize), put),
        [length, ref inner @ ..] => {
            out.push(b'[');
            for index in 0..length {
                if index > 0 {
                    out.push(b',');
                }
                nested(out, inner, items, put)?;
            }
            out.push(b']');
            Ok(())
        }
    }
}

fn list<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    put: &impl Fn(&mut Vec<u8>, T) -> Result<(), Error>,
) -> Result<(), Error> {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put(out, item)?;
    }
    out.push(b']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_of_nothing_but_lists_is_refused() {
        for shape in [&[][..], &[3, 2], &[0], &[65_536, 0], &[0, i64::MAX]] {
            assert!(check_nesting(shape, "y").is_ok(), "{shape:?}");
        }
        for shape in [&[65_537, 0][..], &[i64::MAX, 2, 0], &[1; 101]] {
            let error = check_nesting(shape, "y").unwrap_err();
            assert!(error.message.starts_with("output 'y'"), "{error}");
        }
    }
}
