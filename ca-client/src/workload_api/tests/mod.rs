//! Who is let in, and what is answered.
