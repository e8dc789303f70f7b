/**
 * How much the tests try. `npm test` tries a part, which takes some minutes. `npm run test:faults` tries everything.
 */
export const isLong = process.env["FANOUT_FAULTS"] === "long"

/** How many programs a property generates, of those that it generates in a long run. */
export const runs = (long: number): number => isLong ? long : Math.ceil(long / 5)

/** The distance between the calls at which a test fails, one run after the other. A long run tries each call. */
export const stride = (short: number): number => isLong ? 1 : short
