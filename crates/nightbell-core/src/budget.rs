/*!
How many messages a topic may send before they are gathered into a digest.
*/
