/*!
How many different values there were: exact while they are few, estimated with a known error when they are many.
*/
