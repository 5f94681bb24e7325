# The gateway, and in the same image the demo's services (see docker-compose.yml).
FROM node:24-slim AS build
WORKDIR /aya
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
# The runtime is the base image's; the npm package `node` pins it for development only and goes with the rest.
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /aya
COPY --from=build /aya/package.json ./
COPY --from=build /aya/node_modules ./node_modules
COPY --from=build /aya/dist ./dist
# gateway.yaml and routes.d/ are mounted here.
RUN mkdir -p /etc/aya/routes.d
USER node
EXPOSE 8080 9901
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9901/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/src/main.js", "start", "/etc/aya"]
