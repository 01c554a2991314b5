# C types of lexer.py; its annotations are for mypy only (annotation_typing=False there).
cimport cython

cdef bytes _CLASSES
cdef int _REFUSED, _SPACE, _WORD, _DIGIT, _PUNCTUATION, _SPECIAL
cdef int _STATE_START, _STATE_OTHER, _STATE_WORD, _STATE_STRING, _STATE_MINUS
cdef int _NEWLINE, _RETURN, _QUOTE, _DOUBLE_QUOTE, _DOLLAR, _BACKSLASH
cdef int _MINUS, _PLUS, _SLASH, _STAR, _DOT, _SEMICOLON, _OPEN, _AMPERSAND
cdef frozenset _FOLDED_STATEMENTS, _WORDS_BEFORE_KEPT_INTEGERS
cdef unsigned long long _INT4_MAX, _INT8_MAX

@cython.final
cdef class Folded:
    cdef readonly bytes shape
    cdef readonly tuple literals
    cdef readonly tuple offsets
    cdef readonly tuple signs

@cython.locals(scan=_Scan)
cpdef fold(bytes text)

@cython.final
cdef class _Scan:
    cdef bytes text
    cdef const unsigned char *view
    cdef const unsigned char *classes
    cdef Py_ssize_t size, at, kept, token, token_end
    cdef int state
    cdef bint known, ended
    cdef list parts, literals, offsets, signs

    cdef Folded result(self)
    @cython.locals(byte=int, kind=int)
    cdef bint run(self) except -1
    cdef bint _token(self, int byte, int kind) except -1
    cdef bint _special(self, int byte) except -1
    cdef bint _advance(self, int state, Py_ssize_t end) except -1
    cdef int _class_at(self, Py_ssize_t at) noexcept
    cdef int _byte_at(self, Py_ssize_t at) noexcept
    cdef int _keep(self, Py_ssize_t end) except -1
    cdef bint _is_comment(self, int byte) noexcept
    @cython.locals(end=Py_ssize_t)
    cdef bint _comment(self, int byte) except -1
    @cython.locals(at=Py_ssize_t)
    cdef Py_ssize_t _line_comment_end(self) noexcept
    @cython.locals(at=Py_ssize_t, depth=Py_ssize_t)
    cdef Py_ssize_t _block_comment_end(self) noexcept
    @cython.locals(end=Py_ssize_t, prefix=int, follower=int, quote=int)
    cdef bint _word(self) except -1
    @cython.locals(kind=int)
    cdef Py_ssize_t _word_end(self, Py_ssize_t at) noexcept
    @cython.locals(end=Py_ssize_t)
    cdef bint _quoted_name(self) except -1
    cdef Py_ssize_t _closing(self, Py_ssize_t at, int quote) noexcept
    @cython.locals(escaped=bint, end=Py_ssize_t, content=bytes)
    cdef bint _string(self, Py_ssize_t quote) except -1
    cdef Py_ssize_t _escaped_closing(self, Py_ssize_t at) noexcept
    @cython.locals(at=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, delimiter=bytes)
    cdef bint _dollar(self) except -1
    cdef bint _fold_string(self, bytes content, Py_ssize_t end) except -1
    @cython.locals(point_or_exponent=bint, at=Py_ssize_t, follower=int)
    cdef bint _number(self) except -1
    cdef Py_ssize_t _digits_end(self, Py_ssize_t at) noexcept
    @cython.locals(marker=bytes, value="unsigned long long")
    cdef bint _fold_number(self, bint point_or_exponent, Py_ssize_t end) except -1
    cdef bint _is_kept_integer(self) except -1
    cdef bint _fold(self, bytes marker, int state, Py_ssize_t end) except -1
