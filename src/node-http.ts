/**
 * node:http, without what importing it brings: all exports of a module are read once, and to have its `WebSocket` Node
 * loads the whole of undici, 13 MiB and some ten milliseconds in every thread.
 */
export default process.getBuiltinModule('node:http');
