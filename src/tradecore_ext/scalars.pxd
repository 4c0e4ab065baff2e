"""Whole numbers from Python into the kernel's fields, and nothing else.

Owner of: what the helper calls accept.  A C argument takes a float or a Decimal and drops what is behind the point, so
a price of 101.9 would rest at 101; here what is not a whole number (`__index__`) or does not fit is refused by name.
`error` is the exception's class, borrowed: thirteen arguments a call would count its references otherwise.
"""
from cpython.long cimport PyLong_CheckExact
from cpython.number cimport PyNumber_Index
from libc.stdint cimport INT64_MAX, INT64_MIN, UINT8_MAX, UINT16_MAX, UINT32_MAX, int64_t, uint64_t

from tradecore_ext.mathx cimport likely

cdef extern from *:
    """
    /* Ints of one digit (30 bits), which is nearly all of them, without a call. */
    static inline int tc_small_int(PyObject *x, int64_t *value)
    {
        if (!PyLong_CheckExact(x)) return 0;
    #if PY_VERSION_HEX >= 0x030C0000
        if (!PyUnstable_Long_IsCompact((PyLongObject *)x)) return 0;
        *value = PyUnstable_Long_CompactValue((PyLongObject *)x);
    #else
        if (Py_SIZE(x) < -1 || Py_SIZE(x) > 1) return 0;
        *value = (int64_t)Py_SIZE(x) * (int64_t)((PyLongObject *)x)->ob_digit[0];
    #endif
        return 1;
    }
    """
    bint small_int "tc_small_int"(object x, int64_t* value)
    long long PyLong_AsLongLongAndOverflow(object x, int* overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object x) except? <unsigned long long>-1


cdef inline object index_of(void* error, object x, str name):
    """x as an int, where it is a whole number."""
    if PyLong_CheckExact(x):
        return x
    try:
        return PyNumber_Index(x)
    except TypeError:
        raise (<object>error)(f"{name} is {x!r}; a whole number is needed") from None


cdef inline int64_t whole(void* error, object x, str name, int64_t low, int64_t high) except? -1:
    """x where it is a whole number within the bounds."""
    cdef int overflow = 0
    cdef int64_t value
    x = index_of(error, x, name)
    value = PyLong_AsLongLongAndOverflow(x, &overflow)
    if overflow or value < low or value > high:
        raise (<object>error)(f"{name} is {x}; it must be from {low} to {high}")
    return value


cdef inline uint64_t whole64(void* error, object x, str name) except? <uint64_t>-1:
    """The same for 64 bits without a sign."""
    cdef int overflow = 0
    cdef int64_t value
    if PyLong_CheckExact(x):
        value = PyLong_AsLongLongAndOverflow(x, &overflow)
        if value >= 0 and overflow == 0:
            return <uint64_t>value
    x = index_of(error, x, name)
    if x < 0 or x >= 1 << 64:
        raise (<object>error)(f"{name} is {x}; it must be from 0 to {(1 << 64) - 1}")
    return PyLong_AsUnsignedLongLong(x)


cdef inline int64_t signed64(void* error, object x, str name) except? -1:
    cdef int64_t value
    if likely(small_int(x, &value)):
        return value
    return whole(error, x, name, INT64_MIN, INT64_MAX)


cdef inline uint64_t unsigned64(void* error, object x, str name) except? <uint64_t>-1:
    """Ids and times use all 64 bits."""
    cdef int64_t value
    if likely(small_int(x, &value) and value >= 0):
        return <uint64_t>value
    return whole64(error, x, name)


cdef inline int64_t unsigned32(void* error, object x, str name) except? -1:
    cdef int64_t value
    if likely(small_int(x, &value) and 0 <= value <= UINT32_MAX):
        return value
    return whole(error, x, name, 0, UINT32_MAX)


cdef inline int64_t unsigned16(void* error, object x, str name) except? -1:
    cdef int64_t value
    if likely(small_int(x, &value) and 0 <= value <= UINT16_MAX):
        return value
    return whole(error, x, name, 0, UINT16_MAX)


cdef inline int64_t unsigned8(void* error, object x, str name) except? -1:
    cdef int64_t value
    if likely(small_int(x, &value) and 0 <= value <= UINT8_MAX):
        return value
    return whole(error, x, name, 0, UINT8_MAX)
