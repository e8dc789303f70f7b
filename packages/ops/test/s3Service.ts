/**
 * A store of objects whose service is a function of the test.
 */
import type { ObjectStore } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import type { HttpRequest, WholeAnswer } from "../src/internal/cloud/httpTransport.ts"
import { fixedCredentials } from "../src/internal/cloud/s3Credentials.ts"
import { makeS3Store } from "../src/internal/cloud/s3Store.ts"

/** The bucket `bucket` of a service that answers each request like this, with status 200. */
export const storeOf = (answer: (request: HttpRequest) => Pick<WholeAnswer, "headers" | "body">): ObjectStore =>
  makeS3Store({
    name: "bucket",
    settings: {
      endpoint: { protocol: "http:", hostname: "localhost", port: 1 },
      basePath: "/bucket",
      region: "us-east-1",
      profile: "default",
      isVirtual: false,
      isAws: false,
      checksums: false,
      authorities: undefined
    },
    transport: {
      send: (_, request) => Effect.sync(() => ({ status: 200, proofs: [], ...answer(request) })),
      open: () => Effect.die("not asked")
    },
    credentials: fixedCredentials({ accessKeyId: "key", secretAccessKey: "word" })
  })
