/** Makes calls one after the other, each of which is answered before it returns or later. */
export abstract class Sequence {
  private readonly end: () => void
  /** Whether the answer to what is being asked has come before the call returned. */
  private isAsking = false
  private isAnswered = false

  constructor(end: () => void) {
    this.end = end
  }

  /** Makes the next call, whose answer goes on with `goOn`; there is none where all is done. */
  protected abstract ask(): boolean

  /** Asks on and on while answers come at once: nothing gets deeper with the number of calls. */
  run(): void {
    do {
      this.isAsking = true
      this.isAnswered = false
      if (!this.ask()) return this.end()
      this.isAsking = false
    } while (this.isAnswered)
  }

  protected goOn(): void {
    if (this.isAsking) this.isAnswered = true
    else this.run()
  }
}
