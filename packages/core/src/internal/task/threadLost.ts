/**
 * What becomes of a task whose thread was lost; the runtime makes another attempt of it or puts it in quarantine.
 */

/** Defect of an attempt whose thread has ended under it. */
export class ThreadLost {
  /** Whether the task was what the thread was at. */
  readonly isCulprit: boolean
  /** Whether the thread may have ended because of the task: not when it was told to end. */
  readonly isSuspect: boolean
  readonly why: string

  constructor({ isCulprit, isSuspect }: Pick<ThreadLost, "isCulprit" | "isSuspect">, why: string) {
    this.isCulprit = isCulprit
    this.isSuspect = isSuspect
    this.why = why
  }
}

/** Threads that one task may take down. */
export const maxStrikes = 2

/** Defect of a task that took down whatever ran it, too often. */
export class Quarantined {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}
