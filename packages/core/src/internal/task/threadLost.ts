/**
 * The defects of a task whose thread has ended, or whose worker was lost. The runtime tries the task again or
 * quarantines the task.
 */

/** The defect of an attempt whose thread has ended before the attempt. */
export class ThreadLost {
  /** Whether the thread was running this task when the thread ended. */
  readonly isCulprit: boolean
  /** Whether the task may have ended the thread. A thread that was told to end has no suspect. */
  readonly isSuspect: boolean
  readonly why: string

  constructor({ isCulprit, isSuspect }: Pick<ThreadLost, "isCulprit" | "isSuspect">, why: string) {
    this.isCulprit = isCulprit
    this.isSuspect = isSuspect
    this.why = why
  }
}

/** The number of ended threads at which the runtime quarantines a task. */
export const maxStrikes = 2

/** The defect of an attempt whose worker was lost before the attempt has ended, and surely goes on with it no more. */
export class WorkerLost {
  readonly why: string

  constructor(why: string) {
    this.why = why
  }
}

/** The number of lost workers at which the runtime quarantines a task that each of them had in hand. */
export const maxLosses = 5

/** The defect of a quarantined task. */
export class Quarantined {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}
