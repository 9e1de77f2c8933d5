declare module "socketio-wildcard" {
  function wildcard(): (socket: object, next?: () => void) => void;
  export default wildcard;
}
