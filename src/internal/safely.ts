// Calls into the application from the middle of our own work.

/**
 * Calls what may run the application's own listeners. What these throw is the application's uncaught exception, as
 * with any event emitter, but does not stop the work that is under way here.
 */
export function safely(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
